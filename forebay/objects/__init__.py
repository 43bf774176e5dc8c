"""Sources in object stores: a listing of what is there, and copies of it in the lake that everything else reads as local files."""
