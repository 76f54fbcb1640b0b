"""What users see: lines and messages, tables, progress and charts in the terminal."""
