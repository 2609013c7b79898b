"""Own statistics of a dataset in the vault: opened for the purpose, counted, logged.

1. Only people whose latest consent for own statistics is yes are opened. Nobody else is in any number, and the tables say so.
2. Making tables is in the audit log, with the dataset and never with a number.
3. Nothing is charged: the numbers are exact, for the organisation alone, and no release, question or page of others is made from them.
"""
