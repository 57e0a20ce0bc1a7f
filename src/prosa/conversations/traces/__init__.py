"""Why a reply is what it is: kept when decided, read again later."""
