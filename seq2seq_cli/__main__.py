"""`python -m seq2seq_cli`: the same as `s2s`."""

from seq2seq_cli.cli import main

if __name__ == "__main__":
    main()
