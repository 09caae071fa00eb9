"""A local stack for Tidemark: the stand-in SQL Server, a local AWS, the template on it, and what drives them."""
