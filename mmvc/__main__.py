# Copyright (c) The mmvc contributors. All rights reserved.
from mmvc.commands.dispatch import main

if __name__ == '__main__':
    main()
