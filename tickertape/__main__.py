from tickertape.stream.command_line.cli import main

main()
