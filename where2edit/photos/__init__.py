"""Photos from outside: their faces, cut out as the generator knows them, and the way back into the photo."""
