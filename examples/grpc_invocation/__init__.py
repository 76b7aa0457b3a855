"""An app, and the stubs it calls another team's service with."""
