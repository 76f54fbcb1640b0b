"""What users give as files: pairs and sequences in any format, arrays, embeddings."""
