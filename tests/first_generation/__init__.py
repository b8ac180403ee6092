"""A database of the first generation in miniature, and every fault that is known of it, to be planted one by one."""
