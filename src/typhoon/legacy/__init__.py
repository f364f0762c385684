"""What only old applications need: forms that have a modern spelling.

Each is found under its known name in the public module that it belonged to, and gives a
`DeprecationWarning` that says what to write instead.
"""
