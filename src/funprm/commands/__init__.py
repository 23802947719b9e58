"""What stands alone: verbs that take files of others, and leave files for others."""
