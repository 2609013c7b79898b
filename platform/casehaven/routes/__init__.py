"""The routes of the areas that need the worker: parse, ask for a job, return. They import neither vault nor ledger: the api's process must not hold them."""
