"""The events that both apps speak: standard library and messaging.event only."""
