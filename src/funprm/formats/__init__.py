"""Programs and rewards in the forms that other tools write and read; rows in, rows out."""
