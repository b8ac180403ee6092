"""What is known of one person: finding it, handing it out, erasing it, and saying so under a signature."""
