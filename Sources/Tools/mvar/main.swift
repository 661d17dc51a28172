// The program `mvar`. Its commands are the target MVARTool, a library, so that another program can offer them too.

import MVARTool

MVARTool.start()
