"""Durable workflows written as plain async functions."""
