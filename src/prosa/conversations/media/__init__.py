"""Files and voice, in and out."""
