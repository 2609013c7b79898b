"""What a case is: the schema language, the shipped schemas and their code lists."""
