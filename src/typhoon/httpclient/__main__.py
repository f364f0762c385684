"""``python -m typhoon.httpclient URL``: fetch and print."""

from typhoon.httpclient.command import main

if __name__ == "__main__":
    main()
