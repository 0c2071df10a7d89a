"""The Python side of the models: constructors, setters, DAGs."""
