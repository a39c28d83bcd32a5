// Read shows that TCP is a stream: a line for each piece of it that arrives.
//
//	node tcp_server/read/main.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

// There is no -buffer here: Node reads up to 64 KiB at a time into buffers of its
// own, and hands them over.
const server = net.createServer((socket) => {
  const peer = at(socket.remoteAddress, socket.remotePort)
  socket.on('data', (data) => console.log(`${peer} read ${data.length} bytes: ${quote(data)}`))
  socket.on('end', () => console.log(`${peer} ended after ${socket.bytesRead} bytes`))
  socket.on('error', (err) => console.error(`read: ${err.message}`)) // unheard, it would end the process
})
server.on('error', (err) => {
  console.error(`read: ${err.message}`)
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

// quote shows the first 64 bytes of data, much as Go's %q does.
function quote (data) {
  return JSON.stringify(data.subarray(0, 64).toString()) + (data.length > 64 ? '…' : '')
}
