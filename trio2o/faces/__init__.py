"""The APIs as tenants and operators see them: a table each, and what is particular to each."""
