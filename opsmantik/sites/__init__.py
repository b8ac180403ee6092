"""Sites: what is watched, who may post for it, and the snippet that goes on its pages."""
