"""A local stack for Tidemark: the stand-in SQL Server, a local AWS, the real template deployed on it, and what drives them."""
