# Copyright (c) The mmvc contributors. All rights reserved.
from .cli import main

if __name__ == '__main__':
    main(prog='python -m mmvc.apis')
