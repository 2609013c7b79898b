"""Made-up case records for a schema: for demonstrations, tests and benchmarks. No real person is behind any of them."""

from casehaven.generate.errors import ExistingFileError, GenerateError, OutputError, RequestError
from casehaven.generate.population import generate_population
from casehaven.generate.records import RecordMaker, generate_records

__all__ = [
    "ExistingFileError",
    "GenerateError",
    "OutputError",
    "RecordMaker",
    "RequestError",
    "generate_population",
    "generate_records",
]
