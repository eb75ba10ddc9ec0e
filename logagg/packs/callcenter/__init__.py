"""The call-centre pack."""
