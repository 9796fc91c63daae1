"""The xAPI receiver: the statements resource that an LMS sends to and reads from."""
