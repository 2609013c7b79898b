"""Made-up case records for a schema: for demonstrations, tests and benchmarks. No real person is behind any of them."""

from casehaven.generate.population import generate_population

__all__ = ["generate_population"]
