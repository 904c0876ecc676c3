"""Where endpoints come from: for now addresses as written and DNS."""
