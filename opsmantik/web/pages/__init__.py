"""The pages: what each needs to know is asked from flows and rooms; what it says is in its template."""
