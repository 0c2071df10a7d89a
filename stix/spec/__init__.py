"""What a file may say: models, the loader with its positions, expressions, matrix expansion."""
