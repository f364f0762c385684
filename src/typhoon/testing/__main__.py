"""``python -m typhoon.testing``: run tests."""

from typhoon.testing.runner import main

if __name__ == "__main__":
    main()
