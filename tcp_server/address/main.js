// Address shows where a server listens: its address, port and family.
//
//	node tcp_server/address/main.js
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
server.listen(port, host, () => {
  const { address, port, family } = server.address()
  console.log('listening on', at(address, port))
  console.log(`address: ${address}\nport: ${port}\nfamily: ${family}`)
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close()
    console.log('closed')
    process.exit() // connections still open would keep it alive
  })
}

function at (ip, port) {
  return net.isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}
