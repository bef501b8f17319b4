"""Operations with a readable reference and a fast twin behind `impl="reference"|"fast"|"auto"`, one per file."""
