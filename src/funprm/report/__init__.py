"""Reports: one HTML file, one picture, one table for the terminal."""
