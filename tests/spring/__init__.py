"""The simulated Synapse held against a real Spring Boot application, message by message."""
