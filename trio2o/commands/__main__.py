"""`python -m trio2o.commands`."""

from trio2o.commands import main

main()
