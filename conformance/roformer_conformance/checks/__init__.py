"""The checks, a module for each family of clauses; HEAD has two, `heads` and `surgery`."""
