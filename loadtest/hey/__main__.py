import sys

from loadtest.hey.run import main

sys.exit(main(sys.argv[1:]))
