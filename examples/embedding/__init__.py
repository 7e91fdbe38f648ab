"""Three ways to have the engine inside a program: as a library, in a Flask application, in a transaction."""
