// Socket_address shows both ends of each connection: address, port and family.
//
//	node tcp_server/socket_address/main.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const server = net.createServer((socket) => {
  const local = socket.address() // for the remote end there are three properties
  console.log(`local ${local.address} port ${local.port} family ${local.family}, ` +
    `remote ${socket.remoteAddress} port ${socket.remotePort} family ${socket.remoteFamily}`)
  socket.resume()
  socket.on('error', (err) => console.error(`socket_address: ${err.message}`)) // unheard, it would end the process
})
server.on('error', (err) => {
  console.error(`socket_address: ${err.message}`)
  process.exitCode = 1
})
server.listen(port, host, () => {
  console.log('listening on', at(server.address().address, server.address().port))
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
