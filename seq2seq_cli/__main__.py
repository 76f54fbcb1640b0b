"""Runs `s2s` as `python -m seq2seq_cli`."""

from seq2seq_cli.cli.process import main

if __name__ == "__main__":
    main()
