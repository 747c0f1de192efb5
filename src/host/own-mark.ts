/** The firewall mark of every packet that Sallyport itself sends: the routing rules keep marked packets out of the tunnels. */
export const OWN_MARK = 0x5a11;
