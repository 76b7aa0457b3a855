"""Deployment files from an app's code: collect a model, give it to a target, write a folder."""
