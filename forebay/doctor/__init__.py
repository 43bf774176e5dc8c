"""What is wrong with a project, its lake and its machine: found without changing any of them."""
