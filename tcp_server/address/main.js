// Address tells where it listens, which a program cannot always know beforehand:
// with port 0 the system chooses one.
//
//	node tcp_server/address/main.js --addr '[::1]:0'
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const server = net.createServer()
server.on('error', (err) => {
  console.error(`address: ${err.message}`)
  process.exitCode = 1
})
server.listen(port, host, () => describe(server)) // sooner, address() may be null

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close()
    console.log('closed')
    process.exit()
  })
}

// describe prints what the kernel says of the socket. Unlike in Go, 0.0.0.0 is
// IPv4 only here; no host at all is :: and takes both families.
function describe (server) {
  const { address, port, family } = server.address()
  console.log('listening on', /:/.test(address) ? `[${address}]:${port}` : `${address}:${port}`)
  console.log(`address: ${address}\nport: ${port}\nfamily: ${family}`)
}
