from by_hand import classes, numbers

__all__ = ["classes", "numbers"]
