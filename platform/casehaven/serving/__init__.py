"""The service as processes: the folder of the first start, the api, the worker, and both together."""
